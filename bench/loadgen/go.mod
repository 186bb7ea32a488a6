module tlog.example/loadgen

go 1.22
