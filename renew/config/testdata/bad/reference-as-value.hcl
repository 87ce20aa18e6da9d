issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = [issuer.le, exmaple, locl.x]
}
