// Command echo sends every UDP datagram to port 7777 back to its sender, without any privilege.
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	rt, err := attach.Open(attach.Options{Name: "echo"}) // as the iokernel's configuration calls it
	if err != nil {
		log.Fatal(err)
	}
	if err := rt.HandleUDP(7777, func(r *dataplane.Request) { r.Turn() }); err != nil {
		log.Fatal(err)
	}
	if err := rt.Run(ctx); err != nil { // until ctx ends, or the iokernel
		log.Fatal(err)
	}
}
