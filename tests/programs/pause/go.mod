module etcd-steward.test/pause

go 1.26.0
