module posthorn/verify

go 1.26
