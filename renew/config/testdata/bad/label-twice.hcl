issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
}
certificate "www" {
  names = ["example.org"]
}
