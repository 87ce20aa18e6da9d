issuer "le" {
  eab {
    key_id   = "kid"
    hmac_key = "aHVudGVyMg
  }
}
