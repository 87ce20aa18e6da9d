issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
hook "nginx" {
  reload { unit = "nginx.service" }
}
certificate "www" {
  names   = ["example.com"]
  issuers = issuer.le
  solver  = "http.main"
  hooks   = ["nginx", nginx, hooks.nginx, hook.nginx.x, 7]
}
certificate "two" {
  names   = ["example.org"]
  issuers = ["${issuer.le}", issuer.le, issuer.le]
  hooks   = []
}
