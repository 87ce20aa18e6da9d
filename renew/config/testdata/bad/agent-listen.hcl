agent {
  listen = "0.0.0.0:9433"
}
issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
}
