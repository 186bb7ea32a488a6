module tlog.example/appendload

go 1.22
