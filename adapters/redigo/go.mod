module github.com/redlatch/redlatch/adapters/redigo

go 1.25.0

require (
	github.com/gomodule/redigo v1.9.3
	github.com/redlatch/redlatch v0.0.0
)

replace github.com/redlatch/redlatch => ../..
