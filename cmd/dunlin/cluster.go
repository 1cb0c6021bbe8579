package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Where an iokernel looks unless its configuration says otherwise.
const (
	clusterFile = "cluster.yaml"
	hostKeyFile = "host.key"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Make the file that says which hosts belong together, and their keys",
		Long: `Make the file that says which hosts belong together, and their keys.

A cluster file names the hosts, where they are, and the public keys that may sign for their
runtimes. It is the same on every host and holds no secret. Each host has a private key of its own,
which stays there: its iokernel signs with it who a runtime is, and runtimes of other hosts believe
that because the public half stands in the file.

None of it needs root or touches an iokernel.`,
		Example: `  dunlin cluster init lab                        once
  dunlin cluster key                             on each host: prints its public key
  dunlin cluster add-host alpha --key ed25519:AAAA... --raw 02:00:00:00:00:01
  scp cluster.yaml alpha:/etc/dunlin/            to each host`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(clusterInitCommand(), clusterKeyCommand(), clusterAddHostCommand())
	return c
}

// clusterReport is what the three commands have done, as JSON.
type clusterReport struct {
	File    string   `json:"file"`
	Cluster string   `json:"cluster,omitempty"`
	Host    string   `json:"host,omitempty"`
	Hosts   []string `json:"hosts,omitempty"` // all of the file
	Key     string   `json:"key,omitempty"`   // public
}

// writeReport writes what was done, as JSON or as that text.
func writeReport(c *cobra.Command, r clusterReport, text string) error {
	if wantsJSON(c) {
		return writeJSON(c.OutOrStdout(), r, "  ")
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text)
	return err
}

func clusterInitCommand() *cobra.Command {
	file := clusterFile
	c := &cobra.Command{
		Use:   "init NAME",
		Short: "Begin a cluster file",
		Long: `Begin a cluster file: no hosts, and every runtime of every host of the cluster may
talk. It overwrites nothing.`,
		Example: `  dunlin cluster init lab
  dunlin cluster init lab --file /etc/dunlin/cluster.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := cluster.New(args[0])
			if err != nil {
				return usage(c, err)
			}
			if err := writeNew(file, text, 0o644); err != nil {
				return err
			}
			return writeReport(c, clusterReport{File: file, Cluster: args[0]},
				fmt.Sprintf("%s: cluster %s, no hosts yet; add them with dunlin cluster add-host",
					file, args[0]))
		},
	}
	c.Flags().StringVar(&file, "file", file, "the cluster file")
	return c
}

func clusterKeyCommand() *cobra.Command {
	file, show := hostKeyFile, false
	c := &cobra.Command{
		Use:   "key",
		Short: "Make a host's private key, and print the public half",
		Long: `Make a host's private key, readable by its owner alone, and print the public half for
dunlin cluster add-host. It overwrites nothing: who replaces a key adds the new public half to the
host's keys in the cluster file first, everywhere, and takes the old one out at the end.

With --show it prints the public half of a key that exists, and refuses one that others may read.`,
		Example: `  dunlin cluster key --out /etc/dunlin/host.key
  dunlin cluster key --out /etc/dunlin/host.key --show`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := hostKey(file, show)
			if err != nil {
				return err
			}
			public := identity.FormatPublicKey(key.Public().(ed25519.PublicKey))
			clear(key)
			return writeReport(c, clusterReport{File: file, Key: public}, public)
		},
	}
	c.Flags().StringVar(&file, "out", file, "the private key's file")
	c.Flags().BoolVar(&show, "show", false, "make none, show the one that is there")
	return c
}

// hostKey makes a private key, or reads the one that is there.
func hostKey(file string, show bool) (ed25519.PrivateKey, error) {
	if show {
		return readHostKey(file)
	}
	key, err := identity.NewHostKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := identity.EncodeHostKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return key, writeNew(file, text, identity.HostKeyMode)
}

func readHostKey(file string) (ed25519.PrivateKey, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key, err := identity.ReadHostKey(f)
	if err != nil {
		return nil, exit.As(exit.Usage, fmt.Errorf("host key %s: %w", file, err))
	}
	return key, nil
}

func clusterAddHostCommand() *cobra.Command {
	file := clusterFile
	var keys, raw, udp []string
	c := &cobra.Command{
		Use:   "add-host NAME",
		Short: "Add a host to the end of a cluster file",
		Long: `Add a host to the end of a cluster file. The rest of the file stays as it is, and the
file is replaced in one step. The name is the one that the host's iokernel is configured with.`,
		Example: `  dunlin cluster add-host alpha --key ed25519:AAAA... --raw 02:00:00:00:00:01
  dunlin cluster add-host beta --key "$(ssh beta dunlin cluster key)" --udp 192.0.2.2:7471`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := typedHost(args[0], keys, raw, udp)
			if err != nil {
				return usage(c, err)
			}
			all, err := addHost(file, h)
			if err != nil {
				return err
			}
			return writeReport(c, clusterReport{
				File: file, Cluster: all.Name, Host: h.Name, Hosts: hostNames(all),
			}, fmt.Sprintf("%s: host %s added to cluster %s, %d hosts", file, h.Name, all.Name,
				len(all.Hosts)))
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&file, "file", file, "the cluster file")
	c.Flags().StringSliceVar(&keys, "key", nil, "public key, as dunlin cluster key prints it")
	c.Flags().StringSliceVar(&raw, "raw", nil, "MAC addresses of interfaces that take raw frames")
	c.Flags().StringSliceVar(&udp, "udp", nil, "addresses and ports that take frames in UDP")
	return c
}

// typedHost reads what was typed.
func typedHost(name string, keys, raw, udp []string) (h cluster.Host, err error) {
	h.Name = name
	if err := identity.CheckName(name); err != nil {
		return h, fmt.Errorf("host %q: %w", name, err)
	}
	if len(keys) == 0 {
		return h, errors.New("--key is needed: dunlin cluster key, on that host, prints it")
	}
	for _, text := range keys {
		k, err := identity.ParsePublicKey(text)
		if err != nil {
			return h, fmt.Errorf("--key %q: %w", text, err)
		}
		h.Keys = append(h.Keys, k)
	}
	for _, text := range raw {
		m, err := wire.ParseMAC(text)
		if err != nil {
			return h, fmt.Errorf("--raw: %w", err)
		}
		h.Raw = append(h.Raw, m)
	}
	for _, text := range udp {
		var a netip.AddrPort
		if a, err = cluster.ParseUDP(text); err != nil {
			return h, fmt.Errorf("--udp %q: %w", text, err)
		}
		h.UDP = append(h.UDP, a)
	}
	return h, nil
}

// addHost changes a cluster file and returns what it says then.
func addHost(file string, h cluster.Host) (*cluster.Cluster, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cluster file: %w; dunlin cluster init makes one", err)
	}
	after, err := cluster.AddHost(file, text, h)
	if err != nil {
		return nil, exit.As(exit.Usage, err)
	}
	all, err := cluster.Parse(file, after)
	if err != nil {
		return nil, err
	}
	return all, replaceFile(file, after)
}

func hostNames(c *cluster.Cluster) (names []string) {
	for _, h := range c.Hosts {
		names = append(names, h.Name)
	}
	return names
}
