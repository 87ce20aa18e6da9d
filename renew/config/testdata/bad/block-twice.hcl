agent {}
agent {}
issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  key {}
  key {}
}
