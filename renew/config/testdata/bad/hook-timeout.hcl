hook "h0" {
  timeout = 30
  each    = true
  reload { unit = "nginx.service" }
}
hook "h1" {
  timeout = "30"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h2" {
  timeout = "2h"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h3" {
  timeout = "1d"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h4" {
  timeout = "-5s"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h5" {
  timeout = "0s"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h6" {
  timeout = true
  each    = true
  reload { unit = "nginx.service" }
}
hook "h7" {
  timeout = "1d1d"
  each    = true
  reload { unit = "nginx.service" }
}
hook "h8" {
  timeout = ""
  each    = true
  reload { unit = "nginx.service" }
}
