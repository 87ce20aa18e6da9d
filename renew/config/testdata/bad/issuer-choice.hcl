issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
issuer "two" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
}
certificate "none" {
  names   = ["example.org"]
  issuers = []
}
