//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinux = errors.New("what a process uses is measured on Linux only")

type usage struct {
	cpu       time.Duration
	rss, peak float64
}

func ownCPU() (time.Duration, error) { return 0, errLinux }

func usageOf(int) (usage, error) { return usage{}, errLinux }
