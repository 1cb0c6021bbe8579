// Command solo is the echo of examples/echo with the iokernel inside: one process, one core, no
// configuration file and no socket. It owns the interface that it is given, so it needs root.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: solo INTERFACE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, name string) error {
	r := config.DefaultRuntime()
	r.Name, r.UIDs = "echo", []config.Account{config.ID(uint32(os.Getuid()))}
	r.Endpoints = []config.Endpoint{{UDP: 7777}}
	c := config.Default()
	c.Interface, c.Runtimes = name, []config.Runtime{r}
	if err := c.Validate(); err != nil {
		return err
	}
	d, err := daemon.Start(daemon.Options{Config: c, Private: true})
	if err != nil {
		return err
	}
	defer d.Close()
	// Solo is the one option that differs from examples/echo.
	rt, err := attach.Open(attach.Options{Name: "echo", Solo: d})
	if err != nil {
		return err
	}
	if err := rt.HandleUDP(7777, func(r *dataplane.Request) { r.Turn() }); err != nil {
		return err
	}
	return rt.Run(ctx)
}
