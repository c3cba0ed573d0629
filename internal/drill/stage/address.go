package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below those that systems hand out by themselves (Linux from 32768, net.ipv4.ip_local_port_range;
// Windows and macOS from 49152): a connection of somebody else's cannot take one between our look and the program's.
const (
	firstPort = 20000
	lastPort  = 32767
	portTries = 200
)

// freeAddresses finds n loopback addresses that nobody listens on. Somebody else could still listen on one before its
// program does; the program then fails to start and says so.
func freeAddresses(n int) ([]string, error) {
	var list []string
	for range portTries {
		if len(list) == n {
			return list, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // not a secret
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // all stay taken until the last is found, so that none is found twice
		list = append(list, l.Addr().String())
	}
	return nil, fmt.Errorf("find a free port: none of %d tried between %d and %d is free on 127.0.0.1", portTries, firstPort, lastPort)
}

// FreeAddress finds one loopback address that nobody listens on.
func FreeAddress() (string, error) {
	list, err := freeAddresses(1)
	if err != nil {
		return "", err
	}
	return list[0], nil
}
