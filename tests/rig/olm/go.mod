module moorage.dev/rig/olm

go 1.26

require github.com/operator-framework/api v0.37.0 // indirect
