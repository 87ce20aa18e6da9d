issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  profile     = "tls server"
}
