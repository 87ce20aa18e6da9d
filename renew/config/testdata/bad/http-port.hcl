issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  http_port   = 5002
}
issuer "internal" {
  directory   = "https://ca.internal/dir"
  agree_terms = true
  http_port   = 70000
}
issuer "quoted" {
  directory   = "https://ca.internal/other"
  agree_terms = true
  http_port   = "80"
}
issuer "nothing" {
  directory   = "https://ca.internal/third"
  agree_terms = true
  http_port   = null
}
issuer "half" {
  directory   = "https://ca.internal/fourth"
  agree_terms = true
  http_port   = 80.5
}
