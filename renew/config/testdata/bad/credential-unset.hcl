issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id   = "kid"
    hmac_key = credential("google-eab")
  }
}
locals {
  a = credential("../x")
}
