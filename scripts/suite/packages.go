package main

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// packages lists the folders of this module that hold Go files, as arguments of go test: those
// without and those with kernel tests.
func packages(root fs.FS) (unit, kernel []string, err error) {
	hasKernelTests := map[string]bool{}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name)
		}
		if dir := path.Dir(name); strings.HasSuffix(name, ".go") {
			hasKernelTests[dir] = hasKernelTests[dir] || strings.HasSuffix(name, "_kernel_test.go")
		}
		return nil
	})
	for dir, needsKernel := range hasKernelTests {
		if needsKernel {
			kernel = append(kernel, "./"+dir)
		} else {
			unit = append(unit, "./"+dir)
		}
	}
	slices.Sort(unit)
	slices.Sort(kernel)
	return unit, kernel, err
}

// enter leaves out what Go leaves out of ./...
func enter(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}
