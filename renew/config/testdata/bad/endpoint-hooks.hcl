issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
hook "mail" {
  reload { command = ["/bin/true"] }
}
hook "nginx" {
  reload { command = ["/bin/true"] }
}
certificate "www" {
  names = ["www.example.com"]
  hooks = [hook.mail]
  endpoint "127.0.0.1:25" { hooks = [hook.male] }
  endpoint "127.0.0.1:443" { hooks = [hook.nginx] }
}
certificate "other" {
  names = ["other.example.com"]
  hooks = [hook.mail, hook.ngnix]
  endpoint "127.0.0.1:443" { hooks = [hook.nginx] }
}
