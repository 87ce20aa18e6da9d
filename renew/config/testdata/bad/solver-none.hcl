issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
certificate "www" {
  names = ["example.com"]
}
