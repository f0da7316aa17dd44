// probe is the program of the small image that the dev cluster's tests run in pods.
//
//	probe env              print the environment, then wait
//	probe eat MEBIBYTES    use that much memory, then wait
//	probe dial ADDRESS     connect by TCP, print "connected", then wait
//	probe write PATH TEXT  write TEXT to a new file, print "written", then wait
//	probe read PATH        print a file, then wait
//	probe tick             print a number each 100 ms
//
// Each ends on SIGTERM with exit code 75, after printing "terminated".
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go run(os.Args[1], os.Args[2:])
	<-signals
	fmt.Println("terminated")
	os.Exit(75)
}

func run(what string, arguments []string) {
	switch what {
	case "env":
		lines := os.Environ()
		sort.Strings(lines)
		for _, line := range lines {
			fmt.Println(line)
		}
		fmt.Println("end of environment")
	case "eat":
		mebibytes, err := strconv.Atoi(arguments[0])
		check(err)
		kept := make([][]byte, 0, mebibytes)
		for range mebibytes {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			kept = append(kept, block)
			// Slowly: the kernel, not a failed mapping, must end us.
			time.Sleep(time.Millisecond)
		}
		fmt.Println("ate", len(kept))
	case "dial":
		for {
			connection, err := net.DialTimeout("tcp", arguments[0], time.Second)
			if err == nil {
				connection.Close()
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		fmt.Println("connected")
	case "write":
		check(os.WriteFile(arguments[0], []byte(arguments[1]), 0o644))
		fmt.Println("written")
	case "read":
		text, err := os.ReadFile(arguments[0])
		check(err)
		fmt.Println(string(text))
	case "tick":
		for number := 0; ; number++ {
			fmt.Println(number)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
