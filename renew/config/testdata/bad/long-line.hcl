issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["n0.example", "n1.example", "n2.example", "n3.example", "n4.example", "n5.example", "n6.example", "n7.example", "n8.example", "n9.example", "n10.example", "n11.example", "n12.example", "n13.example", "n14.example", "n15.example", "n16.example", "n17.example", "n18.example", "n19.example", "n20.example", "n21.example", "n22.example", "n23.example", "n24.example", "n25.example", "n26.example", "n27.example", "n28.example", "n29.example", "n30.example", "n31.example", "n32.example", "n33.example", "n34.example", "n35.example", "n36.example", "n37.example", "n38.example", "n39.example", "bad name", "m0.example", "m1.example", "m2.example", "m3.example", "m4.example", "m5.example", "m6.example", "m7.example", "m8.example", "m9.example", "m10.example", "m11.example", "m12.example", "m13.example", "m14.example", "m15.example", "m16.example", "m17.example", "m18.example", "m19.example", "m20.example", "m21.example", "m22.example", "m23.example", "m24.example", "m25.example", "m26.example", "m27.example", "m28.example", "m29.example", "m30.example", "m31.example", "m32.example", "m33.example", "m34.example", "m35.example", "m36.example", "m37.example", "m38.example", "m39.example"]
}
