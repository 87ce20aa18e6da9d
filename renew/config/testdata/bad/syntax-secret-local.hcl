locals {
  k = "aHVudGVyMg
}
issuer "le" {
  eab {
    key_id   = "kid"
    hmac_key = local.k
  }
}
