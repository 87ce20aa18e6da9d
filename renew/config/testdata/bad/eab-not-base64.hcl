issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id   = "kid"
    hmac_key = "no base64 here!"
  }
}
issuer "two" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id   = "kid"
    hmac_key = 12345
  }
}
