# /etc/certvigil/conf.d/www.hcl: one site of one Apache.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# Apache has port 80, and serves this folder there: Debian's default site does.
solver "webroot" "site" {
  path = "/var/www/html"
}

certificate "www" {
  names = ["example.com", "www.example.com"]
  hooks = [hook.apache]
  endpoint "127.0.0.1:443" {}
}

# Its reload tests the configuration first.
hook "apache" {
  reload { unit = "apache2.service" }
}
