issuer "letsencrypt" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}

hook "never" {
  window = "Sat 02:00-02:00"
  reload { unit = "a.service" }
}
hook "no-hours" {
  window = "Sat"
  reload { unit = "a.service" }
}
hook "no-window" {
  window_zone = "Europe/Berlin"
  reload { unit = "a.service" }
}
hook "no-zone" {
  window      = "Sat 02:00-05:00"
  window_zone = "Berlin"
  reload { unit = "a.service" }
}
hook "within" {
  reload {
    unit   = "a.service"
    window = "Sat 02:00-05:00"
  }
}
hook "haproxy" {
  reload {
    haproxy     = "/run/haproxy/admin.sock"
    certificate = "/etc/haproxy/certs/www.pem"
  }
}
certificate "one" {
  names = ["one.example.com"]
  hooks = [hook.haproxy]
}
certificate "two" {
  names = ["two.example.com"]
  hooks = [hook.never, hook.haproxy]
}
