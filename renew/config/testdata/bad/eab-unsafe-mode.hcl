issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id   = "kid"
    hmac_key = trimspace(file("open.txt"))
  }
}
