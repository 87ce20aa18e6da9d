issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  eab {}
}
issuer "g" {
  directory   = "google"
  agree_terms = true
}
