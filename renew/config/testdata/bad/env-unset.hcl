issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id   = "kid"
    hmac_key = env("CERTVIGIL_TEST_UNSET")
  }
}
