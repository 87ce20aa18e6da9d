issuer "i0" {
  directory   = "letsencypt"
  agree_terms = true
}
issuer "i1" {
  directory   = "http://ca.internal/dir"
  agree_terms = true
}
issuer "i2" {
  directory   = "buypass"
  agree_terms = true
}
issuer "i3" {
  directory   = "example"
  agree_terms = true
}
issuer "i4" {
  directory   = "https://"
  agree_terms = true
}
issuer "i5" {
  directory   = "ftp://x/"
  agree_terms = true
}
issuer "i6" {
  directory   = "https://u:hunter2@ca.internal/dir"
  agree_terms = true
}
issuer "i7" {
  directory   = "https://ca.internal/#x"
  agree_terms = true
}
issuer "i8" {
  directory   = "https://exa mple/"
  agree_terms = true
}
issuer "none" {
  agree_terms = true
}
