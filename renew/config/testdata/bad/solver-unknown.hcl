issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "htpp" "main" {}
solver "http" "main" {
  path = "/var/www"
}
certificate "www" {
  names  = ["example.com"]
  solver = solver.http.main
}
