locals {
  a = local.b
  b = local.a
  c = local.z
  d = local
  e = local.d
  f = each.key
}
locals {
  a = 1
  g {}
}
locals {
  c = 2
}
