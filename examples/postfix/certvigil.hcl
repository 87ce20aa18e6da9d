# /etc/certvigil/conf.d/mail.hcl: what Postfix shows to other servers and to its users.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# Nothing else has port 80 on this host. Where a web server has it, see examples/nginx and examples/apache.
solver "http" "main" {}

certificate "mail" {
  names = ["mail.example.com"]
  hooks = [hook.postfix]

  endpoint "127.0.0.1:25" {
    protocol = "smtp"
  }
  endpoint "127.0.0.1:587" {
    protocol = "submission"
  }
}

hook "postfix" {
  reload { unit = "postfix.service" }
}
