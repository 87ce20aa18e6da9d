issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names   = ["example.com"]
  issuers = [issuer.el, issuer.zerossl]
  solver  = solver.htpp.main
  hooks   = [hook.nginx]
}
