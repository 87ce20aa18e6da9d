issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {
    key_id = "kid"
    hmc_ky = "aHVudGVyMg"
  }
}
issuer "two" {
  directory   = "letsencrypt"
  agree_terms = true
  hmac_key    = "aHVudGVyMg"
}
