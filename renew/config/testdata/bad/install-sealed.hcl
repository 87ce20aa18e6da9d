issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pkcs12" {
    path = "/etc/tls/0.p12"
  }
  install "pkcs12" {
    path     = "/etc/tls/1.p12"
    password = "hunter2"
    encoding = "old"
  }
  install "pkcs12" {
    password = env("CERTVIGIL_TEST_SECRET")
  }
  install "pkcs12" {
    path     = "/etc/tls/2.p12"
    password = ["hunter2"]
  }
  install "pkcs12" {
    path     = "/etc/tls/3.p12"
    password = file("open.txt")
  }
  install "pkcs12" {
    path     = "/etc/tls/4.p12"
    password = "hunter2\u0007"
  }
  install "pkcs12" {
    path     = "/etc/tls/5.p12"
    password = "\n"
  }
  install "jks" {
    path     = "/etc/tls/0.jks"
    password = "hunt"
  }
  install "jks" {
    path     = "/etc/tls/1.jks"
    password = "hunter2é"
  }
  install "jks" {
    path     = "/etc/tls/2.jks"
    password = env("CERTVIGIL_TEST_SECRET")
    alias    = "WWW"
  }
  install "jks" {
    path     = "/etc/tls/3.jks"
    pasword = env("CERTVIGIL_TEST_SECRET")
    encoding = "legacy"
  }
}
