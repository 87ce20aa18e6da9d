issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = [
    "",
    "exa mple.com",
    "https://example.com/",
    "example.com:443",
    "ops@example.com",
    "10.0.0.0/8",
    "a_b.example.com",
    "a..b",
    null,
    7,
    true,
    "x\n",
  ]
}
