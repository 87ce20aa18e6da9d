# /etc/certvigil/conf.d/mail.hcl: what Dovecot shows to the users of mail.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# Nothing else has port 80 on this host. Where a web server has it, see examples/nginx and examples/apache.
solver "http" "main" {}

certificate "mail" {
  names = ["mail.example.com"]
  hooks = [hook.dovecot]

  endpoint "127.0.0.1:143" {
    protocol = "imap"
  }
  endpoint "127.0.0.1:993" {}
  endpoint "127.0.0.1:110" {
    protocol = "pop3"
  }
}

hook "dovecot" {
  reload { unit = "dovecot.service" }
}
