package config

import (
	"path/filepath"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// Cluster says for which cluster the iokernel signs who its runtimes are. All are set, or none.
type Cluster struct {
	File string // path of the cluster file
	Host string // this host's name in it
	Key  string // path of this host's private key
}

// validateCluster wants all of it or nothing. What is in the files is found out by who reads them.
func (c *Config) validateCluster(p *problems) {
	if c.Cluster == (Cluster{}) {
		return
	}
	for _, v := range [...]struct{ key, path string }{
		{"cluster.file", c.Cluster.File}, {"cluster.key", c.Cluster.Key},
	} {
		switch {
		case v.path == "":
			p.add(v.key, "is required with the other keys of cluster")
		case !filepath.IsAbs(v.path):
			p.add(v.key, "%q: want an absolute path", v.path)
		}
	}
	if c.Cluster.Host == "" {
		p.add("cluster.host", "is required with the other keys of cluster")
	} else if err := identity.CheckName(c.Cluster.Host); err != nil {
		p.add("cluster.host", "%q: %v", c.Cluster.Host, err)
	}
}
