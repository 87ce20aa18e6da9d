issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "webroot" "none" {}
solver "webroot" "relative" {
  path = "html"
}
solver "webroot" "missing" {
  path = "/nonexistent/html"
}
solver "webroot" "file" {
  path = "/dev/null"
}
certificate "www" {
  names  = ["example.com"]
  solver = solver.webroot.none
}
