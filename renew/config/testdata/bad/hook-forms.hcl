hook "none" {}
hook "empty" {
  reload {}
}
hook "two" {
  reload {
    unit    = "nginx.service"
    command = ["/bin/true"]
  }
}
hook "no-signal" {
  reload { pid_file = "/run/nginx.pid" }
}
hook "no-pid" {
  reload { signal = "HUP" }
}
hook "signals" {
  reload {
    pid_file = "run/nginx.pid"
    signal   = "hup"
  }
}
hook "kill" {
  reload {
    pid_file = "/run/nginx.pid"
    signal   = "KILL"
  }
}
hook "units" {
  test { unit = "nginx" }
  reload { unit = "nginx.socket" }
}
hook "unit" {
  test {}
  reload { unit = "nginx reload" }
}
hook "tests" {
  test = ["nginx", "-t"]
  test { unit = "t.service" }
  reload { unit = "nginx.service" }
  reload { unit = "nginx.service" }
}
