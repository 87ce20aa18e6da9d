issuer "i0" {
  directory   = "https://ca.internal/dir"
  agree_terms = true
  trust_roots = "missing.pem"
}
issuer "i1" {
  directory   = "https://ca.internal/dir"
  agree_terms = true
  trust_roots = "open.txt"
}
issuer "i2" {
  directory   = "https://ca.internal/dir"
  agree_terms = true
  trust_roots = "key.pem"
}
issuer "i3" {
  directory   = "https://ca.internal/dir"
  agree_terms = true
  trust_roots = "/"
}
