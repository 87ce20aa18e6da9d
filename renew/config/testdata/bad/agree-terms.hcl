issuer "le" {
  directory   = "letsencrypt"
  agree_terms = false
}
issuer "b" {
  directory = "letsencrypt"
}
issuer "c" {
  directory   = "letsencrypt"
  agree_terms = "yes"
}
