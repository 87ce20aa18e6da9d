issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com", env("CERTVIGIL_TEST_SECRET")]
  install "pem" {
    key = "/etc/${env("CERTVIGIL_TEST_SECRET")}/x"
  }
}
hook "h" {
  reload {
    command = ["/bin/x", trimspace(file("shut.secret"))]
  }
}
