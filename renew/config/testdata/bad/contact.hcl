issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
  contact     = ["ops", "mailto:ops@example.com", "a@b@c", "Ops <ops@example.com>", "ops@example.com,b@example.com", "mailto:"]
}
issuer "two" {
  directory   = "letsencrypt"
  agree_terms = true
  contact     = "ops@example.com"
}
