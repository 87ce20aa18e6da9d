issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "c0" {
  names = ["n0.example"]
  renew { window = "Mon-Fr 02:00-05:00" }
}
certificate "c1" {
  names = ["n1.example"]
  renew { window = "nightly" }
}
certificate "c2" {
  names = ["n2.example"]
  renew { window = "2:00-5:00" }
}
certificate "c3" {
  names = ["n3.example"]
  renew { window = "02:00-02:00" }
}
certificate "c4" {
  names = ["n4.example"]
  renew {
    window      = "02:00-05:00"
    window_zone = "Europe/Atlantis"
  }
}
certificate "c5" {
  names = ["n5.example"]
  renew { window_zone = "Europe/Berlin" }
}
certificate "c6" {
  names = ["n6.example"]
  renew { window = ["02:00-05:00"] }
}
certificate "c7" {
  names = ["n7.example"]
  renew {
    window      = "Mon Tue \u001b[31m02:00-05:00"
    window_zone = "../../etc/passwd"
  }
}
