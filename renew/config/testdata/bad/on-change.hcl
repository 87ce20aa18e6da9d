issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "c0" {
  names     = ["n0.example"]
  on_change = "overwrite"
}
certificate "c1" {
  names     = ["n1.example"]
  on_change = true
}
certificate "c2" {
  names = ["n2.example"]
  renew { on_change = "adopt" }
}
