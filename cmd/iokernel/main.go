// Command iokernel is the daemon that owns a network interface and lends its frames to unprivileged
// applications. The program is cmd/internal/service.
package main

import (
	"os"

	"github.com/dunlin-io/dunlin/cmd/internal/service"
)

func main() {
	os.Exit(service.Main(os.Args[1:], os.Stdout, os.Stderr))
}
